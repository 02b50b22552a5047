/**
 * What a worker ends with that outgrew its memory's bound, or that waits for its run's end (`--until-complete`) and was told
 * to leave before, or waited in vain for coordinator or data: sysexits' "try again", since units are left that another worker
 * may compute.
 */
export const toldToLeave = 75;
