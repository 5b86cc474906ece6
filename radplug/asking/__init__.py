"""What we ask other systems for by ourselves: the orders of studies that came without one, and workitems."""
