"""The worklist: pages for people. `app` joins the rooms; each room is one page and what belongs to it.

sign_in ──► who ──► worklist ──► case
                      ▲
          changes ────┘  rows that have moved, told to every open page
"""
