#!/bin/bash -eu
# As on OSS-Fuzz.
exec bash -eu "$SRC/vmadiff/fuzz/oss-fuzz/build.sh"
