"""Chest radiographs that no patient ever had: painted, reported on and dictated to, each from its seed."""
