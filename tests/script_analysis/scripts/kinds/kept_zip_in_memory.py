import io
import zipfile
packed = io.BytesIO()
with zipfile.ZipFile(packed, "w") as archive:
    for number, line in enumerate(open("in.txt")):
        archive.writestr(str(number), line)  # FINDING
