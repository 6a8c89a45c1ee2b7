"""A service under chaos, by a seed: what befalls it (`run`), its workers, its tenants, and what must hold afterwards.

worker     a worker process that dies, freezes, and whose store is rough
fleet      the workers that are there, and their ends
disk       a small disk that fills
tenants    quiet ones, whose every export is known, and a hostile one
afterwards what must hold when all is quiet again
run        a service, an idle time, a time of chaos, and the end
"""
