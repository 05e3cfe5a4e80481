import { setFlagsFromString } from 'node:v8';

/**
 * To be imported before anything else: V8 settles its heap when it starts to fill. A conversion makes little garbage at
 * a time, and V8's habit of letting the young generation grow costs 60 MB of a 250 MB budget and gains nothing.
 */
setFlagsFromString('--max-semi-space-size=2');
setFlagsFromString('--semi-space-growth-factor=1');
// A heap may grow by so much before it is cleaned: large models leave large plans behind.
setFlagsFromString('--heap-growing-percent=20');
