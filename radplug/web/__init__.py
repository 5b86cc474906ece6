"""The worklist: pages for people. `app` joins the rooms; each room is one page and what belongs to it.

sign_in ──► who ──► worklist ──► case
                      ▲
          changes ────┘  rows that have moved, told to every open page

For programs the same is JSON under /api/v1: api (editing), api_cases (the rest), api_page (what there is, for readers).
"""
