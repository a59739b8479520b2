"""Columns of the arrays that kernels, book and surface share.

    quotes  float64 (capacity, QUOTE_COLUMNS)  one row an option slot; `stamps`: the same as int64
    ladder  float64 (strikes, LADDER_COLUMNS)  one row a strike, expiry after expiry, ascending
    plan    int64   (expiries, PLAN_COLUMNS)   one row an expiry, ascending
    memory  float64 (expiries, MEMORY_COLUMNS) what NATIVE remembers of its last search
    inputs  float64 (expiries, INPUT_COLUMNS)
    values  float64 (METHODS, expiries, VALUE_COLUMNS)
    facts   int64   (METHODS, expiries, FACT_COLUMNS)

A quote row is one cache line; what `QuoteTable.write` packs in one call comes first.
"""

from volgauge.domain.index import Flag, Reason, Reject

# quotes: the first seven are written together, in this order.
BID = 0
ASK = 1
BID_SIZE = 2
ASK_SIZE = 3
EXCHANGE_NS = 4  # int64, through `stamps`
RECEIVED_NS = 5  # int64, through `stamps`
FORWARD_REF = 6  # forward of the expiry at the first evaluation after the quote; NaN until then
MARK = 7
QUOTE_COLUMNS = 8

STRIKE = 0
CALL_SLOT = 1  # -1: not listed
PUT_SLOT = 2
CALL_TICK = 4  # smallest step, price above which another holds, that step
PUT_TICK = 7
CODE = 10  # CODE + 2 method + leg (0 call, 1 put): verdict, see below; written by the kernels
RESIDUAL = 16  # NATIVE: what the strike adds to the fitted price, NaN not used; by the kernels
LADDER_COLUMNS = 17

EXPIRY_NS = 0
FIRST = 1  # rows of the ladder: FIRST <= row < LAST
LAST = 2
CELL = 3  # index into the dirty flags of the QuoteTable
DUE_NS = 4  # when a quote of this expiry may turn stale by time alone; 0 never
REVISION = 5  # rises whenever the expiry is computed
PLAN_COLUMNS = 6

FUTURE = 0  # the venue's own forward of the expiry, NaN unknown
RATE = 1  # continuously compounded, `cboe` only
INPUT_COLUMNS = 2

OUTER_M = 0  # of the curve, NaN before the first search
OUTER_S = 1
COST = 2  # of the fit right after the search
SEARCH_FORWARD = 3  # forward at the search
SEARCH = 4  # not 0: search at the next evaluation
MEMORY_COLUMNS = 5

# values: NaN where not computable.
T_YEARS = 0  # <= 0 expired; `cboe`: whole minutes
FORWARD = 1
K_ZERO = 2
STRIP_SUM = 3  # sum of dK / K^2 e^{rt} Q(K)
TOTAL_VARIANCE = 4
BID_VARIANCE = 5  # total variance of the same strip at the bids
ASK_VARIANCE = 6
DEVIATION = 7  # sw = sqrt(total variance at the money)
EXTRAPOLATED = 8  # share of the variance beyond the quoted strikes
OWN_FORWARD = 9  # forward from the expiry's own pairs or its listed future; NaN: needs neighbours
PARITY_GAP = 10  # relative distance of the parity forward from the arbitrage interval
# The rest belongs to NATIVE alone.
FULL_VARIANCE = 11  # whole line, a = 1; the mean of the two tails
TAIL_LO_VARIANCE = 12
TAIL_HI_VARIANCE = 13
COIN_VARIANCE = 14  # a = 0
SVIX_VARIANCE = 15  # a = -1
SKEWNESS = 16
KURTOSIS = 17
EXT_VARIANCE = 18  # |fit - flat edge| over the part of the corridor without quotes
SVI_A = 19  # w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + s^2)), the tapered fit
SVI_B = 20
SVI_RHO = 21
SVI_M = 22
SVI_S = 23
CORRIDOR_LOW = 24  # k where the fit has |delta| = 5 %
CORRIDOR_HIGH = 25
VALUE_COLUMNS = 26

# facts
MINUTES = 0
REASON = 1  # -1 a value is there; else index into REASONS
FLAGS = 2  # bit i is FLAGS_ORDER[i]
STRIKES = 3  # strikes whose quotes entered the sum
ACCEPTED = 4  # strikes that passed the filters
PAIRS = 5  # put-call pairs behind the forward
ELIGIBLE = 6  # 1: METHODOLOGY rule 9 holds
NEWEST_NS = 7  # receipt of the newest quote among the expiry's options
QUALIFIED = 8  # 1: rule 9 holds but for the time to expiry
REJECTED = 9  # REJECTED + i counts REJECTS[i]

REJECTS = tuple(Reject)
REASONS = tuple(Reason)
FLAG_ORDER = tuple(Flag)
FACT_COLUMNS = REJECTED + len(REJECTS)

NATIVE = 0
DVOL = 1
CBOE = 2
METHODS = 3

EVERY = 1 << METHODS  # in a mask of methods: compute all expiries, dirty or not
FROZEN = 1 << (METHODS + 1)  # in a mask of methods: no search, take `memory` as it is

CALL = 0
PUT = 1

USED = -1  # verdicts: used (or not needed), else an index into REJECTS

R_ABSENT = REJECTS.index(Reject.ABSENT)
R_NO_BID = REJECTS.index(Reject.NO_BID)
R_NO_ASK = REJECTS.index(Reject.NO_ASK)
R_CROSSED = REJECTS.index(Reject.CROSSED)
R_WIDE = REJECTS.index(Reject.WIDE)
R_TINY = REJECTS.index(Reject.TINY)
R_BOUNDS = REJECTS.index(Reject.BOUNDS)
R_ARBITRAGE = REJECTS.index(Reject.ARBITRAGE)
R_STALE = REJECTS.index(Reject.STALE)
R_BAD_NUMBER = REJECTS.index(Reject.BAD_NUMBER)
R_BEYOND_STOP = REJECTS.index(Reject.BEYOND_STOP)
R_EDGE = REJECTS.index(Reject.EDGE)
R_OUTLIER = REJECTS.index(Reject.OUTLIER)
R_BELOW_DELTA = REJECTS.index(Reject.BELOW_DELTA)

N_NO_INSTRUMENTS = REASONS.index(Reason.NO_INSTRUMENTS)
N_NO_QUOTES = REASONS.index(Reason.NO_QUOTES)
N_TOO_FEW_STRIKES = REASONS.index(Reason.TOO_FEW_STRIKES)
N_NO_FORWARD = REASONS.index(Reason.NO_FORWARD)
N_K_ZERO_QUOTE = REASONS.index(Reason.K_ZERO_QUOTE)
N_ONE_SIDED_CHAIN = REASONS.index(Reason.ONE_SIDED_CHAIN)
N_BAD_INPUT = REASONS.index(Reason.BAD_INPUT)
N_NEGATIVE_VARIANCE = REASONS.index(Reason.NEGATIVE_VARIANCE)

F_MARKS_USED = 1 << FLAG_ORDER.index(Flag.MARKS_USED)
F_GAP = 1 << FLAG_ORDER.index(Flag.GAP)
F_FORWARD = 1 << FLAG_ORDER.index(Flag.FORWARD)
F_PARITY_GAP = 1 << FLAG_ORDER.index(Flag.PARITY_GAP)
F_FUTURE_GAP = 1 << FLAG_ORDER.index(Flag.FUTURE_GAP)
F_QUAD = 1 << FLAG_ORDER.index(Flag.QUAD)
F_BUTTERFLY = 1 << FLAG_ORDER.index(Flag.BUTTERFLY)
F_FIT = 1 << FLAG_ORDER.index(Flag.FIT)
F_EXTRAPOLATED = 1 << FLAG_ORDER.index(Flag.EXTRAPOLATED)
