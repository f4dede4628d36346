// Package jetstream is the codec of the JetStream protocol: bytes to values and
// back, one file a message family.
//
// It owns the names, texts and shapes of the wire: the table of API errors, the
// subjects of requests and acknowledgements, the JSON of configurations, infos,
// requests and responses, the header lines of publishes, pull statuses and direct
// gets. It also knows the rules that need nothing but a configuration to be
// decided: defaults, validity, equality and what an update may change.
//
// It promises that every decoder is total: any input gives a value or an error,
// at a cost bounded by the input's length. It does no I/O, reads no clock, starts
// no goroutine and takes no lock; all functions may be called concurrently.
// Functions named Append add to dst and return it. Byte slices in results are
// borrowed from the input.
//
// Functions that can refuse return *Error, nil when all is well. Such a result is
// compared as *Error; it is never stored in an error variable without a check, as
// a nil pointer in an interface is not nil.
//
// Only the JetStream door and its tests call it, as wire.
package jetstream
