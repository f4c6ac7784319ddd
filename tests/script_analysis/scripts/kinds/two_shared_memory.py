from multiprocessing import shared_memory
data = open("in.txt", "rb").read()  # FINDING
shm = shared_memory.SharedMemory(create=True, size=len(data))  # FINDING
shm.buf[:len(data)] = data
