from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor() as executor:
    for line in open("in.txt"):
        executor.submit(print, line)  # UNSEEN
