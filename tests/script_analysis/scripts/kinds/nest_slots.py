class Node:
    def __init__(self, text):
        self.text = text
        self.next = None
head = None
for line in open("in.txt"):
    node = Node(line)
    node.next = head
    head = node  # FINDING
