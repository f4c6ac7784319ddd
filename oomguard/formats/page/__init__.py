"""An HTML page that needs nothing else: to attach to a ticket. Both profile and diagnose make theirs of these parts."""
