// Package check looks at the data directory of a server that does not run: it
// reads every byte that counts, names what is damaged by file, offset, stream and
// sequences, and makes of a damaged directory one that a server opens.
//
// Promises. Run opens nothing for writing and changes neither a byte nor a name
// nor a time of the directory. Both Run and Repair refuse a directory whose lock a
// server holds. Repair copies each file before it changes or moves it; it removes
// no record that can be read, and lists what cannot.
//
// No goroutines, no locks but that of the directory. Called by the commands; it
// stands above assembly, whose files it knows, and nothing imports it.
package check
