from tokenizers import Tokenizer, models, trainers
tok = Tokenizer(models.BPE())
trainer = trainers.BpeTrainer(vocab_size=30000)
def lines():
    with open("in.txt") as f:
        yield from f
tok.train_from_iterator(lines(), trainer=trainer)  # UNSEEN
