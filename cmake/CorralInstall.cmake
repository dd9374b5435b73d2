# What `cmake --install` puts in place: the program, its service, and what the service needs. Paths
# are resolved when installing, because --prefix may then name another place than configuring did.
include(GNUInstallDirs)
install(TARGETS corral RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

install(CODE "
  set(prefix \"\${CMAKE_INSTALL_PREFIX}\")
  cmake_path(ABSOLUTE_PATH prefix NORMALIZE)
  set(CORRAL_BINDIR \"${CMAKE_INSTALL_BINDIR}\")
  set(CORRAL_DOCDIR \"${CMAKE_INSTALL_DOCDIR}\")
  cmake_path(ABSOLUTE_PATH CORRAL_BINDIR BASE_DIRECTORY \"\${prefix}\" NORMALIZE)
  cmake_path(ABSOLUTE_PATH CORRAL_DOCDIR BASE_DIRECTORY \"\${prefix}\" NORMALIZE)
  foreach(unit corral.service corral.socket)
    configure_file(\"${CMAKE_SOURCE_DIR}/packaging/\${unit}\"
                   \"${CMAKE_BINARY_DIR}/packaging/\${unit}\" @ONLY)
  endforeach()
")
# systemd reads all of them from lib below /usr and /usr/local, never from lib64.
install(FILES "${CMAKE_BINARY_DIR}/packaging/corral.service"
              "${CMAKE_BINARY_DIR}/packaging/corral.socket" DESTINATION lib/systemd/system)
install(FILES packaging/corral.sysusers DESTINATION lib/sysusers.d RENAME corral.conf)
install(FILES packaging/corral.tmpfiles DESTINATION lib/tmpfiles.d RENAME corral.conf)
install(FILES config.example.yaml README.md CHANGELOG.md LICENSE packaging/models-in-home.conf
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
# The example config names its schema by this path.
install(FILES docs/config-schema.json docs/configuration.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs)
