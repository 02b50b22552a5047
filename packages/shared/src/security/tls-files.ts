/** The files of a role, named as cert-manager and `kubectl create secret tls` name them. */
export const tlsFiles = { ca: 'ca.crt', certificate: 'tls.crt', key: 'tls.key', nkey: 'nats.nk' } as const;
