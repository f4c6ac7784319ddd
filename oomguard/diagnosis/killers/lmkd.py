"""Android's low memory killer. Source: system/memory/lmkd/lmkd.cpp; the kernel's drivers/staging/android/lowmemorykiller.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.model import Advice
from oomguard.diagnosis.killers.base import Killer, wording

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill

_DAEMON = (
    r"Kill(?:ing)? '(?P<name>.{1,64}?)' \((?P<pid>[0-9]{1,10})\), uid [0-9]{1,10}, (?P<reason>oom_(?:score_)?adj -?[0-9]{1,5})"
    r"(?: to free (?P<size>[0-9]{1,12})(?P<unit>kB) rss)?(?:, [0-9]+kB swap)?(?:.{0,40}?reason: (?P<said>.{0,200}))?"
)


def _advise(_kill: OtherKill) -> tuple[Advice, ...]:
    return (Advice(text="close other apps, or make this one smaller: Android keeps what is in front"),)


KILLER = Killer(
    ident="lmkd",
    what="Android's low memory killer",
    in_logs=True,
    linux=False,
    wordings=(
        wording(
            _DAEMON,
            "Kill(?:ing)? '",
            "10-24 14:24:26.342   710   710 I lowmemorykiller: Kill 'com.x.y' (17933), uid 10446, oom_score_adj 905 to free 140528kB rss, 37404kB swap; reason: device is not responding",
        ),
        wording(
            r"(?:lowmemorykiller: )?Killing '(?P<name>.{1,64}?)' \((?P<pid>[0-9]{1,10})\)(?: \(tgid [0-9]+\))?, (?P<reason>adj -?[0-9]{1,5}),"
            r"(?:\s*to free (?P<size>[0-9]{1,12})(?P<unit>kB))?",
            "Killing '",
            "lowmemorykiller: Killing 'com.x.y' (17933), adj 1000, to free 140528kB on behalf of 'kswapd0' (71) because cache 61000kB is below limit 61440kB for oom_score_adj 906",
        ),
    ),
    advise=_advise,
)
