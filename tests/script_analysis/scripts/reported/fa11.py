def name(path):  # UNSEEN
    parts = path.split("/")
    return "/".join(parts[1:])
