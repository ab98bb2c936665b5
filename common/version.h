/* version: what `ocppd -V` says. */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

#define OCPPD_VERSION "0.1.0"

#endif
