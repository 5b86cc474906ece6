"""DICOM over HTTP (PS3.18): instances in and out by STOW-RS, and by WADO-RS; workitems by UPS-RS."""
