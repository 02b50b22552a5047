import { type ServerInterceptor, ServerInterceptingCall, status } from '@grpc/grpc-js';
import type { OnRefused } from '../security/refusal.js';
import { identityOf, type Role } from '../security/role.js';

/** Lets a service be called by holders of one role's certificates alone; others are answered PERMISSION_DENIED. */
export function onlyRole(service: string, role: Role, onRefused: OnRefused): ServerInterceptor {
  return ({ path }, call) => {
    if (!path.startsWith(`/${service}/`)) return new ServerInterceptingCall(call);
    const names = call.getAuthContext().sslPeerCertificate?.subjectaltname;
    if (names !== undefined && identityOf({ subjectAltName: names })?.role === role)
      return new ServerInterceptingCall(call);
    const detail = `the certificate is for ${names ?? 'nobody'}, not for a ${role}`;
    onRefused({ reason: 'role', detail, peer: call.getPeer() });
    return new ServerInterceptingCall(call, {
      // It goes no further: who comes after this would answer it too.
      start: (next) =>
        next({ onReceiveMetadata: () => call.sendStatus({ code: status.PERMISSION_DENIED, details: detail }) }),
    });
  };
}
