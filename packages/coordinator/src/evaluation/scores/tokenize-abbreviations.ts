/** Abbreviations that keep their full stop, as the Penn Treebank tokeniser was found to know them, each a list for a pattern. */
export const abbreviations = {
  /** In any case of letters: what can end a sentence too. */
  ending: [
    'jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tues?|wed|thu|thurs|fri',
    'ala|ariz|calif|colo|conn|dak|fla|ga|ind|kans?|ky|md|mich|minn|mo|mont|neb|nev|okla|penn|tenn|va|vt|wisc?|wyo',
    'inc|cos?|corp|ltd|plc|bhd|bros|assn|univ|intl|sys|jr|sr|esq|ph\\.d|ed\\.d',
    'bldg|blvd|ct|ext|rd|rt|sq|tel|al|est|etc|seq',
  ].join('|'),
  /** With a capital or in capitals, as in small letters they are words of their own; and those never in capitals. */
  endingByCase:
    'A[zZ]|L[aA]|P[aA]|A(?:rk|RK)|D(?:el|EL)|I(?:ll|LL)|O(?:re|RE)|T(?:ex|EX)|M(?:ass|ASS|iss|ISS)|W(?:ash|ASH)|' +
    '[pP]p?t(?:e|y|es|ys)',
  /** In any case: what stands before a name. */
  leading: [
    'mrs?|ms|drs?|profs?|sens?|reps?|attys?|lt|lieut|col|gen|messrs|govs?|adm|rev|maj|sgt|cpl|pvt|capt|pres|hon|brig|co?mdr|pfc|spc',
    'supts?|det|ens|insp|mlle|mme|msgr|sfc|adj|adv|asst|assoc|treas|alex|jos|wm',
    'cie|dept|invt|elec|natl|ave|ft|mt|ste?|cf|vs|ph',
  ].join('|'),
  leadingByCase: '[mM](?:fg|tg)',
  /** In any case, before a number. */
  beforeNumber: 'nos?|figs?|art|ca|pp|op|prop',
} as const;

/** Words that begin a sentence, so that a single letter before them is a word at the end of its own: "vitamin C. The …". */
export const sentenceStarters =
  'A|About|According|Additionally|After|An|As|At|But|Earlier|He|Her|Here|However|If|In|It|Last|Many|More|Now|Once|One|' +
  'Other|Our|She|Since|So|Some|Such|That|The|Their|Then|There|These|They|This|We|What|When|While|Yet|You|Mr\\.|Ms\\.';

/** Endings by which the tokeniser knows a file's name. */
export const fileEndings =
  'bat|bmp|c|cgi|class|cpp|dll|docx?|exe|gif|gz|h|html?|jar|java|jpe?g|mov|mp3|pdf|php|pl|png|ppt|ps|py|sql|tar|txt|wav|x|xml|zip';
