"""The statistics of a live canary: is it to blame, must users be protected, is the split what it should be? Pure.

All are e-processes: looking as often as one likes does not raise the false-alarm probability above the stated budget
(Ville's inequality; gates.md §2.4).
"""
