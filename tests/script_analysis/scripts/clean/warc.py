from warcio.archiveiterator import ArchiveIterator
import trafilatura
with open("in.warc.gz", "rb") as stream, open("out.txt", "w") as out:
    for record in ArchiveIterator(stream):
        if record.rec_type == "response":
            html = record.content_stream().read()
            text = trafilatura.extract(html)
            if text:
                out.write(text)
