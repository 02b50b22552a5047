/** The `Status` that the API server answers a request with that it does not grant. */
interface Status {
  readonly message?: string;
  readonly reason?: string;
  readonly details?: {
    readonly name?: string;
    readonly causes?: readonly { readonly field?: string; readonly message?: string }[];
  };
}

/** The API server's no to a request. */
export class ApiFailure extends Error {
  /** The fields that it is about, each with what is wrong with it. */
  readonly problems: readonly string[];
  /** Whether the kind of object is unknown to the server, rather than one object of it. */
  readonly isUnknownKind: boolean;

  constructor(
    readonly method: string,
    readonly path: string,
    readonly status: number,
    body: string,
  ) {
    const said = parsed(body);
    super(said?.message ?? `${method} ${path}: HTTP ${status}`);
    this.name = 'ApiFailure';
    this.problems = (said?.details?.causes ?? []).map(({ field, message }) => `${field ?? ''}: ${message ?? ''}`);
    this.isUnknownKind = status === 404 && said === null;
  }
}

function parsed(body: string): Status | null {
  try {
    return JSON.parse(body) as Status;
  } catch {
    return null;
  }
}
