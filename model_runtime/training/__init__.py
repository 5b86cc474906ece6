"""How the demo checkpoint and its left-to-right sibling are made: `radplug train`."""
