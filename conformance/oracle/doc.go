// Package oracle asks Weir and nats-server the same things at the same time and
// compares what they answer, field by field.
//
// The questions stand in testdata as scripts, one for each subject, and each script
// has two fresh servers to itself. What can not be equal is masked: times, names and
// identifiers that a server makes up. What is different otherwise stands in a table
// with its reason (differences); any other difference fails, and so does an entry of
// the table that nothing needs any longer. Weir's answers must also be what the JSON
// schemas of the management library jsm.go say.
//
// That library, on which the command nats stands, is driven itself, too: each tour
// makes its calls on both servers and compares results, errors, and, by the library's
// own log, requests and answers (managed is the table of reasons). What the library
// exports and no tour calls must be listed with a reason.
package oracle
