errors = []
with open("in.txt") as file, open("out.txt", "w") as out:
    for line in file:
        try:
            out.write(f"{int(line)}\n")
        except OSError as error:
            errors.append(error)  # FINDING
print(len(errors))
