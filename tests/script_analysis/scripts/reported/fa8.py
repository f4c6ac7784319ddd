class Tok:  # UNSEEN
    def decode(self, ids):  # UNSEEN
        return "".join(self.ids_to_tokens(ids))
    def ids_to_tokens(self, ids):  # UNSEEN
        return [self.inv[i] for i in ids]
