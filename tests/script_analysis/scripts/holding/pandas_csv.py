import pandas as pd
import tiktoken

enc = tiktoken.get_encoding("gpt2")
df = pd.read_csv("articles.csv")  # FINDING dataframe
df["tokens"] = df["text"].apply(enc.encode_ordinary)  # FINDING token-list
df.to_parquet("articles_tokens.parquet")
