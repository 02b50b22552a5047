/** Told how far a long command is; the command line draws it, tests and libraries ignore it. */
export interface Progress {
  begin(what: string, total: number): void;
  advance(by: number): void;
  end(): void;
  /** Something the reader should know, once. */
  note(text: string): void;
}

export const silent: Progress = {
  begin: () => undefined,
  advance: () => undefined,
  end: () => undefined,
  note: () => undefined,
};
