"""The truth: what was received, drafted and delivered, in rows. Read it in the order of the data's way.

schema → database → receiving → drafting → delivering, and viewing for whoever looks on.
"""
