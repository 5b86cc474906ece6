"""Rows and files looked at together: verified, backed up, restored.

A backup of a site at work is whole because of the order in which things come to be. A file is in place, whole and
fsynced, before the row that names it is committed; from then on its bytes are the same, and it goes only after no row
names it any more. So a copy of all rows at one moment, and *after* that a copy of the files which these rows name, is
the site as it was at that moment, however much arrives meanwhile. The other way round, files first, would leave out
what came in between.
"""
