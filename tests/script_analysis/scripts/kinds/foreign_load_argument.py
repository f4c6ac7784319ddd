import argparse
import bigstore
parser = argparse.ArgumentParser()
parser.add_argument("input")
args = parser.parse_args()
for doc in bigstore.iter_documents(args.input):  # UNSEEN
    print(doc)
