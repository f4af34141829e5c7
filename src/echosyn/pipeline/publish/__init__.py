"""What a release folder is made of: layout, cards, Croissant, the audit it rests on, the seal, the way to the hub."""
