import ray
rows = ray.data.read_text("in.txt").take_all()  # FINDING
