/** showtell's version; coordinator and workers of one run must have the same, because their numbers might differ. */
export const version = '0.1.0';
