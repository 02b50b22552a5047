/** The nats-server that Go's module and the image on Kubernetes are of; the tests run it. */
export const natsRelease = '2.12.15';
