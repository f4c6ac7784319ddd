from pydantic import BaseModel
class Doc(BaseModel):
    text: str
docs = [Doc(text=l) for l in open("in.txt")]  # FINDING
