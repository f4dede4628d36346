// Package js runs the JavaScript client of NATS against the binary: cases.mjs, with
// Node. Without Node or npm its test is skipped. The client's packages come from the
// npm registry at the first run and stay beside the script.
package js
