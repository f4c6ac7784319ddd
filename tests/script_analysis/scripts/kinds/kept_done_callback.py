from concurrent.futures import ThreadPoolExecutor
results = []
with ThreadPoolExecutor() as ex:
    for line in open("in.txt"):
        ex.submit(str.upper, line).add_done_callback(lambda f: results.append(f.result()))  # FINDING # UNSEEN
