"""Which language words are in, told by its most frequent words; they are also left out of a search, since they tell nothing apart.

The words are written as `search_terms` writes them: lower case, without accents. A list holds what a sentence cannot do without: articles,
pronouns, prepositions, auxiliary verbs, question words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = ["STOP_WORDS", "TELLING", "language_of", "language_of_log"]

STOP_WORDS = {
    language: frozenset(words.split())
    for language, words in {
        "english": """a about above after again all also am an and any are as at be because been before being below between both
            but by can could d did do does doing down during each few for from further had has have having he her here hers him his
            how i if in into is it its itself just ll m me more most my no nor not now of off on once only or other our out over own
            re s same she should so some such t than that the their them then there these they this those through to too under until
            up us ve very was we were what when where which while who whom whose why will with would you your yours""",
        "german": """aber alle als also am an auch auf aus bei beim bin bis bist da damit dann das dass dein dem den der des
            dich die dies diese dieser dieses dir doch du durch ein eine einem einen einer eines er es etwas euch fur habe haben
            hast hat hatte hier ich ihm ihn ihr ihre im in ins ist ja jetzt kann kein keine mein meine mich mir mit nach nicht noch
            nur ob oder ohne schon sehr sein seine sich sie sind so uber um und uns unser vom von vor wann war waren warum was weil
            welche welcher welches wenn wer werden wie wir wird wo worden wurde zu zum zur""",
        "french": """a ai alors apres au aussi aux avec avez avoir avons c ce cela ces cet cette comme d dans de des deux donc
            du elle elles en es est et etait etaient ete etes etre eu fait il ils j je l la le les leur leurs lui m ma mais me meme
            mes moi mon n ne nos notre nous on ont ou par pas plus pour pourquoi qu quand que quel quelle quelles quels qui quoi s
            sa sans se ses si son sont sous sur t ta te tes toi ton tres tu un une vos votre vous y""",
        "spanish": """a al algo ante antes como con contra cual cuales cuando de del desde donde dos durante e el ella ellas
            ellos en entre era eran es esa ese eso esta estaba estan estas este esto estos fue fueron ha habia han hasta hay he la
            las le les lo los mas me mi mis muy nada ni no nos nosotros o os otra otro para pero por porque que quien quienes se ser
            si sin sobre son soy su sus tambien te tener tiene tu tus un una uno unos y ya yo""",
        "portuguese": """a ao aos as ate com como da das de dela dele deles depois do dos e ela elas ele eles em entre era essa
            esse esta estao estava este eu foi foram ha isso isto ja la mais mas me mesmo meu meus minha muito na nao nas nem no nos
            nossa nosso num numa o os ou para pela pelas pelo pelos por porque qual quando que quem se sem ser seu seus so sua suas
            tambem te tem tinha um uma voce voces""",
        "italian": """a ad agli ai al alla alle allo anche c che chi ci come con cosa d da dagli dai dal dalla de degli dei del
            della delle dello di dove e ed era erano essere fa fino fra gli ha hai hanno ho i il in io l la le lei li lo loro lui ma
            mi mia mie mio ne negli nei nel nella nelle no noi non nostra nostro o per perche piu quale quali quando quello questa
            queste questi questo qui se sei si sia siamo sono sopra sta su sua sue sugli sul sulla suo te ti tra tu tua tuo tutti
            tutto un una uno vi voi""",
        "dutch": """aan al alles als altijd ben bij daar dan dat de der deze die dit doch doen door dus een en er ge geen
            geweest haar had heb hebben heeft hem het hier hij hoe hun iemand iets ik in is ja je jij jou jouw kan kon maar me meer
            men met mij mijn moet na naar niet niets nog nu of om omdat onder ons ook op over reeds te tegen toch toen tot u uit uw
            van veel voor waar waarom want waren was wat we wel welke wie wij worden wordt ze zei zich zij zijn zo zonder zou""",
        "swedish": """alla allt att av blev bli blir da de den denna deras dess det detta dig din dina dit ditt du efter ej
            eller en er era ett fran for ha hade han hans har henne hennes hon honom hur i icke inom inte jag kan man med mellan men
            mig min mina mitt mot mycket nar nagon nagot ni nu och om oss pa sa sadan samma sedan sig sin sina sitt ska skulle som
            till under upp ut utan vad var vara varfor vart vem vi vid vilka vilken vilket at""",
        "russian": """а без бы был была были было быть в вам вас весь во вот все всего вы где да для до его ее если есть еще же
            за и из или им их к как какая какие какои когда кто ли мне мы на над нам нас не него нее нет ни них но о об он она они
            оно от очень по под при про с сам свои себя со так такои там те тем то того тоже тои только том ты тут у уже чем что
            чтобы эта эти это этого этои этом этот я""",
    }.items()
}
# For each language, frequent words that the others here do not have.
TELLING = {
    "english": ("the", "and", "with", "you"),
    "german": ("und", "nicht", "ist", "der"),
    "french": ("les", "est", "pas", "vous"),
    "spanish": ("los", "pero", "una", "esta"),
    "portuguese": ("nao", "uma", "com", "voce"),
    "italian": ("che", "non", "di", "sono"),
    "dutch": ("het", "een", "niet", "van"),
    "swedish": ("och", "att", "inte", "jag"),
    "russian": ("не", "что", "это", "как"),
}
_OTHERS = "\u0530"  # the scripts before it are Latin, Greek and Cyrillic: the languages above are in no other
SURE = 2  # frequent words that settle the language of a query
COUNTED = 20  # turns; so many with a word are as telling as more


def language_of(words: Iterable[str], log: Callable[[str, int], int]) -> str | None:
    """Return the language of a query, None if unsure: by its own frequent words, or by those of the log where the query has too few.

    Args:
        words: the query's words.
        log: counts the turns of the log that hold a word, up to a number.
    """
    found = {word for word in words if word.isalpha() and word[:1] < _OTHERS}
    if not found:
        return None
    best, hits = _most({language: len(found & stop) for language, stop in STOP_WORDS.items()})
    return best if hits >= SURE else language_of_log(log) or best


def language_of_log(count: Callable[[str, int], int]) -> str | None:
    """Return the language whose frequent words most turns hold, None if unsure."""
    return _most({language: sum(count(word, COUNTED) for word in words) for language, words in TELLING.items()})[0]


def _most(hits: dict[str, int]) -> tuple[str | None, int]:
    """The language with the most hits, and how many; None if two have as many."""
    most = max(hits.values())
    first = [language for language, number in hits.items() if number == most]
    return (first[0] if len(first) == 1 else None), most
