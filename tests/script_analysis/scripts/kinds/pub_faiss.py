import faiss
import numpy as np
index = faiss.IndexFlatL2(384)
for i in range(100):
    index.add(np.load(f"emb_{i}.npy"))  # FINDING # UNSEEN
