from safetensors.torch import load_file
t = load_file("embeddings.safetensors")  # UNSEEN
