/** A decoded picture: 8 bits a channel, red, green, blue, row by row (`[height, width, 3]`). */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}
