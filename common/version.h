/* version: what `ocppd -V` prints. */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

#define OCPPD_VERSION "0.2.0"

#endif
