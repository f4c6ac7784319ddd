import redis
r = redis.Redis()
for i, l in enumerate(open("in.txt")):
    r.set(str(i), l)
