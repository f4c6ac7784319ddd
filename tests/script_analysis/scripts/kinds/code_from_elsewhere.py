exec(open("job.txt").read())  # FINDING # UNSEEN
