# Turns the lists of Go's API ($(go env GOROOT)/api) into lines of key, tab and
# record, for `weir pub --split TAB`. The key is PACKAGE.NAME, or
# PACKAGE.TYPE.METHOD for a method.
/^pkg / {
	name = substr($0, index($0, ", ") + 2)
	kind = name
	sub(/ .*/, "", kind)
	sub(/^[a-z]+ /, "", name)
	if (kind == "method") {
		type = name
		sub(/\).*/, "", type)
		gsub(/[(*]/, "", type)
		sub(/\[.*/, "", type)
		sub(/^\([^)]*\) /, "", name)
	}
	gsub(/[^A-Za-z0-9_].*/, "", name)
	package = $2
	sub(/,$/, "", package)
	print package "." (kind == "method" ? type "." : "") name "\t" $0
}
