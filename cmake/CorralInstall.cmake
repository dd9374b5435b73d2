# What `cmake --install` puts in place.
include(GNUInstallDirs)
install(TARGETS corral RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
