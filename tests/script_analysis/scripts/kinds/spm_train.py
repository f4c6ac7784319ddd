import sentencepiece as spm
spm.SentencePieceTrainer.train(input="in.txt", model_prefix="m", vocab_size=32000)  # FINDING
